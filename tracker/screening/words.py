"""Words that names of organizations are made of, in the scripts in which they are met: legal forms, general words, places.

The tables are short on purpose: a word stands here when it is frequent in names of companies, institutes and agencies and says
little about which one is meant (general), where it sits (places), or what kind of legal body it is (legal forms). Everything else
is what tells one organization from another, and is read by its sound.
"""

from __future__ import annotations


def _listed(text: str) -> list[str]:
    return text.split()


def _pairs(text: str) -> dict[str, str]:
    """``word:meaning`` parted by blanks; a meaning of several words is written with underscores."""
    found = {}
    for item in text.split():
        word, _, meaning = item.partition(":")
        found[word] = meaning.replace("_", " ")
    return found


LEGAL_LATIN = frozenset(
    _listed(
        """
        aktiebolag osakeyhtio aktieselskab berhad gesellschaft
        ab ae ag aktiengesellschaft ao aps as asa bhd bv bvba ca cc co company corp corporation cv doo dooel
        eeig eg
        eirl ek eood ev fze fzc fzco gie gmbh gbr ggmbh hf inc incorporated ir jsc jsco kft kg kgaa kk ks
        kabushiki
        kaisha lda limitada limited llc llp lp ltd ltda mbh nv oao ojsc ood ooo oy oyj pao pc pjsc plc pllc
        pte ptc pty
        pvt private pt public qpsc qsc rl sa sae sal saoc saog sapi sarl sas sc sca scs sdn se sia sicav sl
        slu snc soc
        spa sprl sp spzoo srl sro tbk tic tov uab ug unlimited vof wll yk yugen zao zoo zrt persero sti
        anonim sirketi
        nyrt ent est establishment
        """
    )
)
"""Words that end (or, as OOO and PT do, begin) a name and only say what kind of body it is; after :func:`names.folded`."""

LEGAL_LEADING = frozenset(_listed("ooo oao zao pao ao pjsc jsc ojsc pt cv tov tic llc firma fgup"))

LEGAL_PHRASES = (
    "obshchestvo s ogranichennoi otvetstvennostyu",
    "obshchestvo s ogranichennoy otvetstvennostyu",
    "tovarystvo z obmezhenoyu vidpovidalnistyu",
    "tovarystvo z obmezhenoiu vidpovidalnistiu",
    "otkrytoe aktsionernoe obshchestvo",
    "zakrytoe aktsionernoe obshchestvo",
    "publichnoe aktsionernoe obshchestvo",
    "aktsionernoe obshchestvo",
    "aktsionerne tovarystvo",
    "federalnoe gosudarstvennoe unitarnoe predpriyatie",
    "limited liability company",
    "public joint stock company",
    "open joint stock company",
    "closed joint stock company",
    "joint stock company",
    "societa per azioni",
    "sociedad anonima",
    "societe anonyme",
    "besloten vennootschap",
    "private limited",
    "private joint stock company",
    "gesellschaft mit beschrankter haftung",
    "gesellschaft mit beschraenkter haftung",
    "spolka z ograniczona odpowiedzialnoscia",
    "societe par actions simplifiee",
    "societe a responsabilite limitee",
    "spolka akcyjna",
    "sociedad limitada",
    "naamloze vennootschap",
    "anonim sirketi",
    "free zone company",
    "free zone establishment",
    "gufen youxian gongsi",
    "youxian zeren gongsi",
    "youxian gongsi",
    "limited company",
    "public company",
)
"""Legal forms in several words, read in Latin letters, longest first where one holds another."""

LEGAL_HAN = (
    "股份有限公司", "有限责任公司", "有限責任公司", "有限公司", "股份公司", "集团公司", "集團公司",
    "总公司", "總公司", "分公司",
    "株式会社", "株式會社", "合同会社", "有限会社", "公司",
)  # fmt: skip
LEGAL_KOREAN = ("주식회사", "유한회사", "(주)", "㈜")
LEGAL_CYRILLIC = (
    "общество с ограниченной ответственностью",
    "товариство з обмеженою відповідальністю",
    "непубличное акционерное общество",
    "публичное акционерное общество",
    "открытое акционерное общество",
    "закрытое акционерное общество",
    "федеральное государственное унитарное предприятие",
    "акционерное общество",
    "акціонерне товариство",
    "ооо",
    "оао",
    "зао",
    "пао",
    "ао",
    "тов",
    "фгуп",
    "нао",
)
LEGAL_ARABIC = ("شركة", "المحدودة", "ذات المسؤولية", "المساهمة", "ش.م.م", "ش م م", "ذ.م.م")

SMALL = frozenset(_listed("and of the for in de la le du des et und der die das y e i v na po dlya al el"))
"""Joining words, passed over."""

# One spelling for the forms of a general word.
CANONICAL = _pairs(
    """
    chinese:china russian:russia korean:korea syrian:syria iranian:iran egyptian:egypt german:germany
    french:france japanese:japan petroleum:oil chemicals:chemical pharmaceuticals:pharmaceutical
    pharma:pharmaceutical robot:robotics robots:robotics technologies:technology tech:technology
    technol:technology technological:technology tekhnologii:technology tecnologia:technology keji:technology
    jishu:technology technologie:technology teknoloji:technology texnologii:technology
    electronics:electronic elektronik:electronic elektronika:electronic elektroniks:electronic
    electronique:electronic elec:electronic dianzi:electronic elektronnye:electronic elektronic:electronic
    industries:industry industrial:industry ind:industry gongye:industry industrie:industry chanye:industry
    intl:international internasional:international internacional:international guoji:international
    mezhdunarodnyi:international mezhdunarodnaya:international institutes:institute inst:institute
    institut:institute instituto:institute yanjiusuo:institute yanjiuyuan:institute univ:university
    universitet:university universitaet:university universite:university daxue:university
    laboratories:laboratory labs:laboratory lab:laboratory laboratoriya:laboratory shiyanshi:laboratory
    semiconductors:semiconductor semicon:semiconductor semi:semiconductor bandaoti:semiconductor
    halbleiter:semiconductor systems:system sistemy:system sistemas:system sys:system xitong:system
    communications:communication comm:communication tongxin:communication tongxun:communication
    svyaz:communication telecommunications:telecom telecommunication:telecom telekom:telecom dianxin:telecom
    telekommunikatsii:telecom holdings:holding hldgs:holding kholding:holding konggu:holding hldg:holding
    groupe:group gruppe:group grupo:group gruppa:group jituan:group grp:group groups:group services:service
    solutions:solution networks:network wangluo:network instruments:instrument devices:device
    products:product components:component materials:material circuits:circuit ics:circuit trading:trade
    traders:trade maoyi:trade torgovyi:trade manufacturing:manufacture mfg:manufacture
    manufacturers:manufacture zhizao:manufacture manufacturer:manufacture imports:import exports:export
    jinchukou:import_export impex:import_export sciences:science scientific:science kexue:science
    nauchno:science microelectronics:microelectronic weidianzi:microelectronic
    mikroelektronika:microelectronic info:information xinxi:information informatsionnye:information
    engineers:engineering gongcheng:engineering inzhiniring:engineering centre:center tsentr:center
    zentrum:center centro:center banka:bank banco:bank yinhang:bank banque:bank aviatsiya:aviation
    hangkong:aviation hangtian:aerospace logistik:logistics wuliu:logistics logistic:logistics
    investments:investment invest:investment touzi:investment enterprises:enterprise predpriyatie:enterprise
    ventures:venture equipments:equipment shebei:equipment ruanjian:software computers:computer
    jisuanji:computer supercomputer:supercomputing zavod:factory gongchang:factory fabrika:factory
    plant:factory works:factory guojia:national nationale:national nacional:national natsionalnyi:national
    gosudarstvennyi:state motors:motor railways:railway airlines:airline airways:airline kogyo:industry
    denki:electric jukogyo:heavy_industry giken:research koryo:korea ginko:bank daigaku:university
    sangyo:industry jonja:electronic jeonja:electronic
    """
)

GENERAL = frozenset(
    _listed(
        """
        aluminum appliance army asset astronautics aeronautics authority battery bio building cable chip
        coal combine concern contracting culture
        display economics education electron engine entertainment express food fund game gas gold government
        grid helicopter hospital hotel
        innovation instruments land leasing life mechanics mining missile mobile natural nonferrous nuclear
        ordnance packaging payment
        petrochemical photovoltaic port property publishing radio radioelectronic real estate refinery
        robotics rocket satellite securities sea
        shipyard solar space test tourism trust united water wind airport chinese shipbuilding experimental
        heavy light
        academy advanced aerospace agency airline applied artificial associates association automation
        automotive
        aviation bank bureau business capital center chemical circuit city cloud college commercial
        commission committee
        communication component computer computing construction consulting control data defence defense
        department
        design development device digital directorate division electric electrical electronic energy engineering
        enterprise equipment exchange export factory federal finance financial first force foundation
        general global
        group high higher holding import industry information innovation institute instrument insurance
        integrated
        intelligence intelligent international internet investment joint laboratory large logistics machine
        machinery
        management manufacture marine market material mechanical media medical memory metal microelectronic
        military
        ministry mobile motor national net network new office oil online optical optics optoelectronic
        petroleum physics
        pharmaceutical police power precision product production professional project railway research
        resource scale
        school science second security semiconductor service shipping shipbuilding software solution special
        state steel
        storage strategic superconducting supercomputing supply system technical technology telecom textile
        trade
        transport union university venture world zone branch asia pacific company corporation
        """
    )
)
"""Words that many organizations share; two names that have only these in common have nothing in common."""

PLACES = frozenset(
    _listed(
        """
        beijing shanghai shenzhen guangzhou hangzhou nanjing wuhan chengdu chongqing tianjin jinan qingdao
        xian suzhou
        wuxi changsha hefei dalian shenyang harbin zhengzhou xiamen fuzhou kunming guiyang urumqi lanzhou
        taiyuan zhuhai
        dongguan foshan ningbo changchun zhejiang jiangsu guangdong sichuan shandong hubei hunan hebei henan
        anhui
        fujian xinjiang tibet liaoning shaanxi shanxi jilin heilongjiang yunnan guizhou hainan gansu qinghai
        ningxia
        guangxi china hongkong macau taiwan taipei hsinchu moscow petersburg russia russian ukraine kyiv minsk
        belarus novosibirsk kazan tomsk zelenograd iran iranian tehran isfahan shiraz dubai sharjah emirates
        uae turkey
        istanbul ankara india mumbai delhi bangalore singapore malaysia penang johor kuala lumpur vietnam
        hanoi thailand
        bangkok indonesia jakarta japan tokyo osaka korea seoul germany german berlin munich france paris
        britain london
        american america usa us uk europe european canada mexico brazil pakistan karachi lahore islamabad
        syria damascus
        lebanon beirut iraq baghdad cyprus nicosia armenia yerevan georgia kazakhstan almaty uzbekistan tashkent
        kyrgyzstan bishkek estonia latvia lithuania finland netherlands holland belgium swiss switzerland
        austria italy
        spain afghanistan kabul kandahar abudhabi riyadh jeddah muscat tripoli khartoum egypt cairo saudi
        arabia qatar doha kuwait oman bahrain israel
        """
    )
)

# --- general words in other scripts, by the word that stands for them in Latin names ------------------------------------------

HAN = _pairs(
    """
    核工业:nuclear_industry 電訊:telecom 电讯:telecom 智能家居:smart_home 创新:innovation 創新:innovation
    石油化工:petrochemical 航空航天:aeronautics_astronautics 中国科学院:china_academy_science 中文:china
    科技大学:technology_university 科技大學:technology_university 电信:telecom 卫星:satellite 衛星:satellite
    火箭:rocket 导弹:missile 兵器:ordnance 装备:equipment 裝備:equipment 仪器:instrument 儀器:instrument
    器件:device 芯片:chip 晶片:chip 显示:display 顯示:display 电池:battery 電池:battery 动力:power
    風電:wind_power 太阳能:solar 光伏:photovoltaic 核电:nuclear_power 水电:hydropower 电网:grid
    电器:electric_appliance 家电:appliance 电视:television 影业:pictures 传媒:media 文化:culture
    教育:education 医院:hospital 食品:food 饮料:beverage 纺织:textile 地产:real_estate 置业:property
    房地产:real_estate 酒店:hotel 旅游:tourism 港口:port 机场:airport 海运:shipping 航运:shipping
    快递:express 速运:express 租赁:leasing 信托:trust 期货:futures 商业:commercial
    工商:industrial_commercial 农业:agricultural 招商:merchants 民生:minsheng 交通银行:bank_communication
    开发区:development_zone 研发:research_development 设计:design 測試:test 测试:test 封装:packaging
    材料科学:material_science 冶金:metallurgical 矿业:mining 煤炭:coal 有色金属:nonferrous_metal 黄金:gold
    铝业:aluminum 化工:chemical 制药:pharmaceutical 基因:gene 疫苗:vaccine 中央:central 联合:united
    聯合:united 总公司: 公司: 电力设备:power_equipment 师范大学:normal_university 科研:research
    实业:industry 實業:industry 企业:enterprise 企業:enterprise 管理:management 咨询:consulting 游戏:game
    娱乐:entertainment 音乐:music 支付:payment 金融:financial 财产:property 人寿:life 保险公司:insurance
    技术:technology 技術:technology 科技:technology 信息:information 資訊:information 资讯:information
    電子:electronic 电子:electronic 集团:group 集團:group 半导体:semiconductor 半導體:semiconductor
    半導体:semiconductor 集成电路:integrated_circuit 積體電路:integrated_circuit 大学:university
    大學:university 研究所:institute 研究院:institute 研究中心:research_center 国家:national 國家:national
    超级计算:supercomputing 超級計算:supercomputing 中心:center 国际:international 國際:international
    积体电路:integrated_circuit 積体電路:integrated_circuit 控股:holding 投资:investment 投資:investment
    贸易:trade 貿易:trade 进出口:import_export 進出口:import_export 存储:memory 存儲:memory 储存:storage
    网络:network 網路:network 網絡:network 软件:software 軟件:software 軟體:software 微电子:microelectronic
    微電子:microelectronic 通信:communication 通讯:communication 通訊:communication 移动:mobile 移動:mobile
    联通:unicom 電信:telecom 中国:china 中國:china 银行:bank 銀行:bank 航空:aviation 航天:aerospace
    工业:industry 工業:industry 产业:industry 產業:industry 制造:manufacture 製造:manufacture
    智能:intelligent 人工智能:artificial_intelligence 机器人:robotics 能源:energy 新能源:new_energy
    电力:power 電力:power 电气:electric 電氣:electric 光电:optoelectronic 光電:optoelectronic 光学:optical
    光學:optical 精密:precision 机械:machinery 機械:machinery 设备:equipment 設備:equipment 材料:material
    化学:chemical 化學:chemical 石油:petroleum 天然气:gas 钢铁:steel 鋼鐵:steel 汽车:automotive
    汽車:automotive 船舶:shipbuilding 重工:heavy_industry 物流:logistics 供应链:supply_chain
    科学院:academy_science 科學院:academy_science 科学:science 科學:science 工程:engineering 系统:system
    系統:system 计算机:computer 計算機:computer 電腦:computer 电脑:computer 计算:computing 数据:data
    數據:data 数字:digital 數位:digital 雲端:cloud 安全:security 保险:insurance 保險:insurance
    证券:securities 證券:securities 基金:fund 资本:capital 資本:capital 服务:service 服務:service
    发展:development 發展:development 开发:development 建设:construction 建設:construction
    医药:pharmaceutical 製藥:pharmaceutical 医疗:medical 生物:biotechnology 实验室:laboratory
    實驗室:laboratory 第一:first 第二:second 世界:world 环球:global 全球:global 先进:advanced 先進:advanced
    交通:transport 铁路:railway 鐵路:railway 广播:broadcasting 互联网:internet 在线:online 線上:online
    工业大学:technology_university 工業大學:technology_university 国立:national 國立:national
    理工:technology 交通大学:jiaotong_university 師範:normal 精密工業:precision_industry 封测:test
    電路:circuit
    """
)

HAN_PLACES = _pairs(
    """
    珠江:zhujiang 长春:changchun 昆明:kunming 贵阳:guiyang 贵州:guizhou 云南:yunnan 太原:taiyuan 山西:shanxi
    兰州:lanzhou 甘肃:gansu 宁夏:ningxia 青海:qinghai 内蒙古:neimenggu 海南:hainan 广西:guangxi 江西:jiangxi
    南昌:nanchang 石家庄:shijiazhuang 佛山:foshan 烟台:yantai 福州:fuzhou 泉州:quanzhou 常州:changzhou
    徐州:xuzhou 洛阳:luoyang 辽宁:liaoning 吉林:jilin 黑龙江:heilongjiang 高雄:kaohsiung 台中:taichung
    台南:tainan 俄罗斯:russia 美国:america 韩国:korea 新加坡:singapore 马来西亚:malaysia 印度:india
    亚洲:asia 亞洲:asia 北京:beijing 上海:shanghai 深圳:shenzhen 广州:guangzhou 廣州:guangzhou 杭州:hangzhou
    南京:nanjing 武汉:wuhan 武漢:wuhan 成都:chengdu 重庆:chongqing 重慶:chongqing 天津:tianjin 济南:jinan
    濟南:jinan 青岛:qingdao 青島:qingdao 西安:xian 苏州:suzhou 蘇州:suzhou 无锡:wuxi 無錫:wuxi 长沙:changsha
    長沙:changsha 合肥:hefei 大连:dalian 沈阳:shenyang 哈尔滨:harbin 郑州:zhengzhou 厦门:xiamen
    浙江:zhejiang 江苏:jiangsu 广东:guangdong 廣東:guangdong 四川:sichuan 山东:shandong 湖北:hubei
    湖南:hunan 河北:hebei 河南:henan 安徽:anhui 福建:fujian 新疆:xinjiang 香港:hongkong 澳门:macau
    澳門:macau 台湾:taiwan 台灣:taiwan 臺灣:taiwan 台北:taipei 新竹:hsinchu 日本:japan 東京:tokyo 大阪:osaka
    陕西:shaanxi 珠海:zhuhai 东莞:dongguan 宁波:ningbo
    """
)

# Japanese readings where a name of a company would be spelled by them; kanji without one fall back to their Chinese sound.
JAPANESE = _pairs(
    """
    京:kyo 楽天:rakuten 重工:heavy_industry 金属:metal 鉄鋼:steel 製鉄:steel 石油:petroleum
    電力:electric_power 保険:insurance 証券:securities 海上:marine 火災:fire 生命:life 建設:construction
    不動産:real_estate 航空:airline 空輸:airways 郵船:yusen 商船:osk_lines 食品:food 飲料:beverage
    硝子:glass 繊維:fiber 化成:chemical 合成:synthetic 計測:measurement 制御:control 情報:information
    通運:express 印刷:printing 出版:publishing 電話:telephone 電信:telegraph 放送:broadcasting
    総研:research_institute 名古屋:nagoya 横浜:yokohama 神戸:kobe 広島:hiroshima 北海道:hokkaido 関西:kansai
    中部:chubu 関東:kanto 国立:national 株式: 工科大学:institute_technology 工業大学:institute_technology
    伊藤忠:itochu 丸紅:marubeni 古河:furukawa 大成:taisei 清水:shimizu 鹿島:kajima 大林:obayashi
    横河:yokogawa 日本電気:nec 日本電信電話:ntt 電機:electric 電気:electric 電工:electric_industries
    工業:industry 重工業:heavy_industry 製作所:seisakusho 自動車:motor 技術:technology
    総合:advanced_industrial 産業:industry 研究所:institute 研究開発:research_development 機構:agency
    大学:university 銀行:bank 商事:shoji 物産:bussan 通信:communication 化学:chemical 電子:electronic
    精密:precision 精機:seiki 光学:optical 日立:hitachi 三菱:mitsubishi 三井:mitsui 住友:sumitomo
    東芝:toshiba 富士通:fujitsu 富士:fuji 日本:nippon 日産:nissan 川崎:kawasaki 松下:matsushita 東京:tokyo
    大阪:osaka 京都:kyoto 村田:murata 信越:shin_etsu 任天堂:nintendo 豊田:toyota 本田:honda 電装:denso
    鉄道:railway 新聞:shimbun 宇宙航空:aerospace_exploration 理化学:riken 堀場:horiba 安川:yaskawa
    島津:shimadzu 荏原:ebara 大日本印刷:dai_nippon_printing 凸版印刷:toppan_printing 東北:tohoku 九州:kyushu
    株: 製薬:pharmaceutical 武田:takeda 技研:research フイルム:film 中外:chugai 塩野義:shionogi
    旭化成:asahi_kasei 東レ:toray 帝人:teijin 日東:nitto
    """
)
KATAKANA = _pairs(
    """
    オートモーティブ:automotive エンジニアリング:engineering テクノ:techno エナジー:energy パワー:power
    ケミカルズ:chemical ファイナンシャル:financial バンク:bank モバイル:mobile ロボティクス:robotics
    メディカル:medical フーズ:food ロジスティクス:logistics コーポレーション: カンパニー: ジャパン:japan
    インターナショナル:international ワークス:factory ホテル:hotel デジタル:digital データ:data
    エレクトロニクス:electronic エレクトロン:electron テクノロジー:technology システム:system
    インターネット:internet ホールディングス:holding グループ:group セミコンダクタ:semiconductor
    セミコンダクター:semiconductor ソフトウェア:software ソリューションズ:solution ソリューション:solution
    モーター:motor モータース:motor ネットワーク:network サービス:service マテリアル:material
    テレコム:telecom コンピュータ:computer デバイス:device メモリ:memory ソニー:sony パナソニック:panasonic
    シャープ:sharp キヤノン:canon ニコン:nikon ルネサス:renesas アドバンテスト:advantest キオクシア:kioxia
    ソフトバンク:softbank ディスコ:disco スクリーン:screen トヨタ:toyota ホンダ:honda リコー:ricoh
    オムロン:omron キーエンス:keyence フイルム:film フィルム:film エアロスペース:aerospace ケミカル:chemical
    ファナック:fanuc ブリヂストン:bridgestone
    """
)

KOREAN = _pairs(
    """
    일렉트릭:electric 일렉트로닉스:electronic 전선:cable 항공우주산업:aerospace_industry 테크:technology
    네트워크:network 소프트:software 홀딩:holding 로보틱스:robotics 엔지니어링:engineering
    머티리얼즈:material 머티리얼:material 인더스트리:industry 인터내셔널:international 글로벌:global
    파이낸셜:financial 캐피탈:capital 카드:card 보험:insurance 투자:investment 자산운용:asset_management
    제약:pharmaceutical 바이오:bio 케미칼:chemical 정밀:precision 정밀화학:fine_chemical
    조선해양:shipbuilding_marine 중공:heavy 기계:machinery 전관:electron_device 정유:oil_refinery
    석유:petroleum 석유화학:petrochemical 가스:gas 식품:food 제과:confectionery 백화점:department_store
    물류:logistics 택배:express 철도:railway 도로공사:expressway 원자력:nuclear 우주항공:aerospace
    항공우주:aerospace 산업은행:development_bank 기업은행:industrial_bank
    과학기술원:advanced_institute_science_technology 대학:university 포항:pohang 부산:busan 인천:incheon
    대전:daejeon 전자:electronic 반도체:semiconductor 그룹:group 홀딩스:holding 기술:technology
    테크놀로지:technology 산업:industry 공업:industry 중공업:heavy_industry 통신:communication
    텔레콤:telecom 은행:bank 대학교:university 연구소:institute 연구원:institute 자동차:motor 화학:chemical
    전기:electric 건설:construction 증권:securities 생명:life 화재:fire 해운:shipping 항공:air
    조선:shipbuilding 정보:information 시스템:system 시스템즈:system 네트웍스:network 무역:trade 한국:korea
    서울:seoul 조선민주:korea 에너지솔루션:energy_solution 에너지:energy 디스플레이:display
    바이오로직스:biologics 에어로스페이스:aerospace 오션:ocean 모비스:mobis 제철:steel
    전력공사:electric_power 가스공사:gas 전력:electric_power 물산:c_t 삼성:samsung 현대:hyundai
    하이닉스:hynix 에스케이:sk 엘지:lg 한화:hanwha 두산:doosan 기아:kia 포스코:posco 롯데:lotte 네이버:naver
    카카오:kakao 쿠팡:coupang 효성:hyosung 대한:korean 금호:kumho 아시아나:asiana 신한:shinhan 국민:kookmin
    우리:woori 하나:hana 대우:daewoo 쌍용:ssangyong 한미:hanmi 원익:wonik 셀트리온:celltrion 케이티:kt
    """
)

CYRILLIC = _pairs(
    """
    россии:russia москвы:moscow украины:ukraine беларуси:belarus вертолетный:helicopter оружейный:arms
    машиностроительная:machine концерн:concern нефтяной:oil газовая:gas газ:gas авиация:aviation радио:radio
    радиоэлектронные:radioelectronic радиоэлектроника:radioelectronic вычислительной:computing
    техники:technique прибор:instrument приборы:instrument точной:precise механики:mechanics
    информационные:information инновационные:innovation промышленная:industry промышленность:industry
    машиностроения:machine_building машиностроение:machine_building двигателей:engine
    двигателестроительная:engine вертолеты:helicopter вертолёты:helicopter самолет:aircraft
    судостроительный:shipbuilding верфь:shipyard верфи:shipyard порт:port морской:sea морская:sea
    пароходство:shipping авиакомпания:airline авиалинии:airline аэропорт:airport страховая:insurance
    инвестиционная:investment управляющая:management торговля:trade химический:chemical химическая:chemical
    металлургический:metallurgical комбинат:combine сталь:steel алюминий:aluminum никель:nickel уголь:coal
    удобрения:fertilizer атомной:nuclear энергии:energy энергетическая:energy энергетический:energy
    ракетно-космический:rocket_space ракетно-космическая:rocket_space
    опытно-конструкторское:experimental_design специальное:special конструкторский:design
    лаборатория:laboratory академия:academy наук:science школа:school высшая:high экономики:economics
    федерация:federation министерство:ministry обороны:defense агентство:agency служба:service фонд:fund
    союз:union дальневосточный:far_eastern северный:northern южный:southern восточный:eastern
    западный:western уральский:ural сибирский:siberian казанский:kazan ижевский:izhevsk тульский:tula
    московская:moscow петербургский:petersburg новосибирский:novosibirsk национального:national
    всероссийский:all_russia межгосударственный:interstate биржа:exchange банковская:bank цифровой:digital
    цифровые:digital завод:factory институт:institute научно-исследовательский:research
    научно-производственный:research_production научно-производственное:research_production
    университет:university технологии:technology технология:technology системы:system система:system
    группа:group холдинг:holding банк:bank компания:company корпорация:corporation центр:center
    электроника:electronic микроэлектроника:microelectronic связь:communication российский:russian
    российская:russian государственный:state государственная:state национальный:national
    национальная:national объединение:union конструкторское:design бюро:bureau авиационный:aviation
    авиационная:aviation космический:space космическая:space объединенная:united объединённая:united
    судостроительная:shipbuilding авиастроительная:aircraft приборостроительный:instrument и: по: нефть:oil
    нефтяная:oil торговый:trade дом:house ракетный:rocket оптико-механический:optical_mechanical
    технический:technical федеральный:federal машиностроительный:machine ядерный:nuclear железные:railway
    железная:railway российские:russian физико-технический:physics_technology московский:moscow дороги:
    дорога: технологический:technology торговая:trade атомный:nuclear телеком:telecom сотовый:mobile
    энергия:energy внешнеэкономбанк:vnesheconombank промышленный:industry
    """
)

ARABIC = _pairs(
    """
    طيران:airline الإمارات:emirates إمارات:emirates مطار:airport مصنع:factory أكاديمية:academy
    صناعة:industry تجارة:trade عربي:arab وطني:national أبوظبي:abudhabi القاهرة:cairo الرياض:riyadh
    جدة:jeddah بغداد:baghdad دمشق:damascus بيروت:beirut طهران:tehran الدوحة:doha مسقط:muscat الشارقة:sharjah
    صنعاء:sanaa طرابلس:tripoli الخرطوم:khartoum تونس:tunisia الجزائر:algeria المغرب:morocco الأردن:jordan
    لبنان:lebanon اليمن:yemen ليبيا:libya السودان:sudan عمان:oman عمّان:amman فلسطين:palestine إيران:iran
    تركيا:turkey الصين:china روسيا:russia العربي:arab الأهلي:ahli التجاري:commercial الزراعي:agricultural
    الصناعي:industry العقارية:real_estate للتأمين:insurance للنقل:transport للاتصالات:telecom
    للمقاولات:contracting للهندسة:engineering للإلكترونيات:electronic للبتروكيماويات:petrochemical الغاز:gas
    للغاز:gas المياه:water وزارة:ministry هيئة:authority معهد:institute مركز:center البحوث:research
    العلوم:science والتكنولوجيا:technology الدفاع:defense العسكرية:military بنك:bank مصرف:bank
    الاتصالات:telecom اتصالات:telecom جامعة:university مجموعة:group مؤسسة:establishment الوطنية:national
    الوطني:national للتجارة:trade التجارية:trade للصناعات:industry الصناعية:industry الدولية:international
    للتكنولوجيا:technology التقنية:technology للطاقة:energy الطاقة:energy النفط:oil للنفط:oil
    للبترول:petroleum القابضة:holding الهندسية:engineering السعودية:saudi السعودي:saudi دبي:dubai
    سوريا:syria السورية:syrian العراق:iraq المركزي:central الشرق:orient العالمية:world البحرين:bahrain
    القطرية:qatar العراقية:iraq الكويتي:kuwait القطري:qatar السوري:syrian للطيران:airline الخطوط:airline
    الجوية: العربية:arabian قطر:qatar الكويتية:kuwait الكويت:kuwait مصر:egypt المصرية:egyptian
    للاستثمار:investment الأول:first الإسلامي:islamic أرامكو:aramco شركة: للكهرباء:electricity صندوق:fund
    موانئ:ports دانشگاه:university دانشگاهی:university بانک:bank شرکت: صنایع:industry گروه:group
    ملی:national ایران:iran
    """
)

# Latin letters as Hangul spells them out: 에스케이 is SK, 삼성에스디아이 Samsung SDI.
HANGUL_LETTERS = _pairs(
    """
    에이:a 비:b 씨:c 시:c 디:d 이:e 에프:f 지:g 에이치:h 아이:i 제이:j 케이:k 엘:l 엠:m 엔:n 오:o 피:p 큐:q
    알:r 에스:s 티:t 유:u 브이:v 더블유:w 엑스:x 와이:y 제트:z
    """
)
